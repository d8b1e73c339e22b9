"""The door of Amazon Bedrock AgentCore: the contract of its runtimes, answered as its SDK's app answers."""
