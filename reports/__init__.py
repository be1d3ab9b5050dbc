"""The certification report: results in, one self-contained HTML file out.

`certify.reports.html.render_report` is the way in. Everything the candidate said is hostile here: it is
escaped, its control characters are made visible, and it is cut at a readable length.
"""
