// Sends one call to the OIDC service with the official AWS client and prints, as one JSON line,
// what it read. Arguments: the endpoint, the name of the operation, and its input as JSON.
import * as oidc from "@aws-sdk/client-sso-oidc";

const [endpoint, operation, input] = process.argv.slice(2);
const client = new oidc.SSOOIDCClient({ endpoint, region: "us-east-1", maxAttempts: 1 });

const report = { output: null, error: null };
try {
  const { $metadata, ...output } = await client.send(new oidc[`${operation}Command`](JSON.parse(input)));
  report.output = output;
} catch (error) {
  report.error = {
    name: error.name,
    error: error.error ?? null,
    status: error.$metadata?.httpStatusCode ?? null,
  };
}
process.stdout.write(JSON.stringify(report) + "\n");
