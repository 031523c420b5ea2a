// What the TypeScript SDK's client makes of a server, as JSON on stdout. Its argument is JSON: {url, token} or
// {command, args}, and {calls: [[tool, arguments], …]}.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const { url, sse, token, command, args, calls } = JSON.parse(process.argv.at(-1));
const requestInit = token ? { headers: { authorization: `Bearer ${token}` } } : {};
let transport;
if (command) transport = new StdioClientTransport({ command, args });
else if (sse) transport = new SSEClientTransport(new URL(url), { requestInit });
else transport = new StreamableHTTPClientTransport(new URL(url), { requestInit });

const client = new Client({ name: "strangers", version: "1" });
const report = { answers: [] };
try {
  await client.connect(transport);
  report.tools = (await client.listTools()).tools;
  for (const [name, given] of calls) {
    try {
      report.answers.push(await client.callTool({ name, arguments: given }));
    } catch (error) {
      report.answers.push({ thrown: error.constructor.name, code: error.code, message: error.message, data: error.data });
    }
  }
  await client.close();
} catch (error) {
  report.failed = { thrown: error.constructor.name, code: error.code, message: error.message };
}
console.log(JSON.stringify(report));
process.exit(0);
