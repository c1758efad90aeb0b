"""The papers of the trade as A4 PDF: approval, delivery note, acceptance, storage, settlement, payment request."""
