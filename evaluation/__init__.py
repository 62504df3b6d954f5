"""What runs are worth: closed loops in the simulated market, the figures of the mathematics, and reports of them.

`evaluation.simulate.simulate` runs policies on seeds, `evaluation.results` makes JSON and table rows of them,
`evaluation.report.write_report` the page and its figures. Imported by name, since drawing loads heavy libraries.
"""
