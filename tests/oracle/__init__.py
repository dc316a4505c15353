"""A second implementation of what a reimport leaves behind, which shares no code with the first.

It is written from the papers alone: the mapping and docs/mapping.md. It reads FileMaker as the
simulator holds it and Nexus as it was, and says what every row, link and list must be afterwards.
It is slow, keeps everything in memory and knows the shipped mapping, with the other options that
``variations`` gives it. ``test_oracle`` makes random edits in FileMaker and in Nexus, runs the
package by channels that are chosen at random, and compares all of it; ``make oracle`` does so as
often as one likes. What taking a run back must leave is in ``way_back``, what people give by hand
in ``by_hand``. ``other_clinics`` writes down clinics with tables, mappings and decisions of every
kind, of which only the plan is compared.

Of the package it believes two things: the instant of the plan, and the id that a new row was given.
"""
