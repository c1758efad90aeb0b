"""Notices: who is waited for, told in the page, by e-mail and by a webhook."""
