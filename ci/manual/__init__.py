"""What is made from chart/values.yaml, which is the chart's manual.

    PYTHONPATH=ci python -m manual            writes
    PYTHONPATH=ci python -m manual --check    says what is out of date, and writes nothing

`values.schema.json` says of which kind each value is, `defaults.yaml` has the values without the
words (for upgrades that bring the values of an older chart), and the table in the chart's README
has the first sentence of each.
"""
