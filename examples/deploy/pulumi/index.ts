// A web app on Lambda behind a function URL that streams.
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

const architecture = "x86_64";

const adapter = new aws.lambda.LayerVersion("adapter", {
  layerName: "lambda-adapter",
  // What `make layer` writes.
  code: new pulumi.asset.FileArchive(`../../../dist/lambda-adapter-layer-${architecture}.zip`),
  compatibleArchitectures: [architecture],
});

const role = new aws.iam.Role("app", {
  assumeRolePolicy: aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" }),
});

// For the log. The adapter needs no right of the role.
new aws.iam.RolePolicyAttachment("log", {
  role,
  policyArn: aws.iam.ManagedPolicy.AWSLambdaBasicExecutionRole,
});

const app = new aws.lambda.Function("app", {
  code: new pulumi.asset.FileArchive("../app"),
  handler: "run.sh",
  runtime: "nodejs22.x",
  architectures: [architecture],
  layers: [adapter.arn],
  role: role.arn,
  memorySize: 512,
  timeout: 30,
  environment: {
    variables: {
      AWS_LAMBDA_EXEC_WRAPPER: "/opt/bootstrap",
      AWS_LWA_INVOKE_MODE: "response_stream",
    },
  },
});

// Open to everyone; the provider adds both permissions that this needs.
export const url = new aws.lambda.FunctionUrl("app", {
  functionName: app.name,
  authorizationType: "NONE",
  invokeMode: "RESPONSE_STREAM",
}).functionUrl;
