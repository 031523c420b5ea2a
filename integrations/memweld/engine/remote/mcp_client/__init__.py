"""A link to an MCP server, whosever it is: one session in a thread of its own, for all threads and event loops.

`memweld.engine.remote.mcp_client.client.Link` is the way in. Whoever uses it says what the server's answers mean.
"""
