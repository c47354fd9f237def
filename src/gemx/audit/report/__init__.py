"""Figures as reports for people, in pt-BR: a page of its own and a Markdown text. Made of figures alone."""
