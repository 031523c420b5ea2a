"""A client for any MCP server: one session in a thread of its own, for all threads and event loops.

`memweld.engine.remote.mcp_client.client.McpClient` is the way in. Its callers interpret the server's answers.
"""
