// Sends one request with the official AWS client and prints, as one JSON line, what it read.
// Arguments: the endpoint, the bearer token, and the input of the operation as JSON.
import {
  CodeWhispererStreamingClient,
  GenerateAssistantResponseCommand,
} from "@aws/codewhisperer-streaming-client";

const [endpoint, token, input] = process.argv.slice(2);
const client = new CodeWhispererStreamingClient({
  endpoint,
  region: "us-east-1",
  token: async () => ({ token }),
  maxAttempts: 1,
});

function describe(error) {
  return {
    name: error.name,
    message: error.message,
    reason: error.reason ?? null,
    status: error.$metadata?.httpStatusCode ?? null,
  };
}

const report = { status: null, events: [], error: null };
try {
  const command = new GenerateAssistantResponseCommand(JSON.parse(input));
  const response = await client.send(command);
  report.status = response.$metadata.httpStatusCode;
  for await (const event of response.generateAssistantResponseResponse) {
    report.events.push(event);
  }
} catch (error) {
  report.error = describe(error);
}
const asText = (_, value) =>
  value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
// A reply that was given up leaves its socket open, and an open socket keeps the process alive.
process.stdout.write(JSON.stringify(report, asText) + "\n", () => process.exit(0));
