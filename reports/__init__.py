"""The certification report: results in, one self-contained HTML file out.

The entry point is `certify.reports.html.render_report`. Every text of a plugin is treated as hostile: it is
escaped, its control characters are made visible, and it is cut at a readable length.
"""
