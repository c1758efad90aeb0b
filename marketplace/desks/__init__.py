"""The pages that cross domains: the shop window, the desks of buyers, sellers and offices, money, administration.

Pages of one role show products, orders, papers and figures together, so they stand above all domains. Each module
`*_pages.py` is an edge: views of a few lines over services and queries; what a page reads in a way of its own stands in a
`*_views.py` without Flask. Rules and figures stay where they belong.
"""
