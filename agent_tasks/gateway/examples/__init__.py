"""Examples for the OpenAPI document: of each operation's requests and answers, and of each problem that it can meet."""
