"""Planning: implementation plans, requirements and validation of plans. Importing it declares no agent."""
