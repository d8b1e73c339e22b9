"""Research: answers a question from a folder of documents, with sources. Importing it declares no agent."""
