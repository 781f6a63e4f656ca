"""From evidence files to an audit report: HTML, PDF, JSON, signed, verified, compared.

`write.py` tells how one is made, `verify.py` how one is checked and `compare.py` what is worse in
the next; each in numbered steps. A report says what there is evidence for and what there is none
for; it passes no verdict. It reads no clock, so that the same inputs give the same bytes.
"""
