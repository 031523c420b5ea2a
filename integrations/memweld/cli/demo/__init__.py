"""The demo: one memory met by LangChain, CrewAI, AutoGen and MCP, each in a process of its own."""
