"""The catalog: columns, keys, conditions, indexes, triggers, policies, rights, sequences."""

# In this order the kinds are listed in a self-test.
from nexus_reimport.saboteur.schema import columns  # noqa: F401, I001 - each declares its kinds
from nexus_reimport.saboteur.schema import keys  # noqa: F401
from nexus_reimport.saboteur.schema import indexes  # noqa: F401
from nexus_reimport.saboteur.schema import acting  # noqa: F401
from nexus_reimport.saboteur.schema import tables  # noqa: F401
from nexus_reimport.saboteur.schema import sequences  # noqa: F401
