"""One DAG for each environment: preflight, a person's approval, execution and verification.

Airflow starts and shows; nexus_reimport decides. A task that is started twice, or beside another
run, is refused by the runner's own lock, and an approval is good for one digest alone.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.providers.standard.operators.hitl import HITLEntryOperator
from airflow.sdk import DAG, Param

HERE = Path(__file__).parent
ENVIRONMENTS = os.environ.get("NEXUS_REIMPORT_DAGS", "dev prod").split()
PRIVATE = Path(os.environ.get("NEXUS_REIMPORT_AIRFLOW_OUTPUT", "/var/lib/nexus-reimport/airflow"))
KERNEL = "nexus-reimport"  # of nexus_reimport's own virtual environment: see README.md


def sequence(task: str, environment: str, **parameters: str | bool) -> PapermillOperator:
    """The sequence of one environment; it ends after the preflight unless it ``must_execute``."""
    return PapermillOperator(
        task_id=task,
        input_nb=str(HERE / "sequence.ipynb"),
        output_nb=str(PRIVATE / f"{environment}-{task}-{{{{ run_id }}}}.ipynb"),
        parameters={"environment": environment, **parameters},
        kernel_name=KERNEL,
        language_name="python",
        log_output=True,
        pool=f"nexus_reimport_{environment}",  # one slot: never two at once
        retries=0,  # a person looks first
        execution_timeout=None,
    )


def gate(environment: str) -> HITLEntryOperator:
    """A person reads 01_preflight, and gives its digest, their name and a reason.

    The options are given so that there is no default: with one, Airflow answers in the person's
    place once the time is over.
    """
    return HITLEntryOperator(
        task_id="approval",
        subject=f"{environment}: read 01_preflight of the run that waits, then give its digest",
        body="The page lies in the run's record, which the log of the task before names. The digest"
        " is that of its last cell.",
        options=["Approve"],
        params={
            "digest": Param("", type="string", title="Digest"),
            "who": Param("", type="string", title="Your name"),
            "reason": Param("", type="string", title="Why; never a patient's name"),
        },
        response_timeout=timedelta(days=2),
        retries=0,
    )


def dag_of(environment: str) -> DAG:
    """The three tasks of one environment."""
    answer = "{{ ti.xcom_pull(task_ids='approval')['params_input']['%s'] }}"
    with DAG(
        f"nexus_reimport_{environment}",
        schedule=None,  # started by a person; a preflight alone may be scheduled: see README.md
        catchup=False,
        max_active_runs=1,
        tags=["nexus-reimport"],
    ) as dag:
        given = {"approve": "digest", "approved_by": "who", "reason": "reason"}
        answers = {k: answer % v for k, v in given.items()}
        execute = sequence("execute", environment, must_execute=True, **answers)
        sequence("preflight", environment) >> gate(environment) >> execute
    return dag


for name in ENVIRONMENTS:
    globals()[f"nexus_reimport_{name}"] = dag_of(name)
