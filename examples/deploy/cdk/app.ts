// A web app on Lambda, behind a function URL that only CloudFront may call.
import { App, CfnOutput, Duration, Stack } from "aws-cdk-lib";
import * as cloudfront from "aws-cdk-lib/aws-cloudfront";
import { FunctionUrlOrigin } from "aws-cdk-lib/aws-cloudfront-origins";
import * as lambda from "aws-cdk-lib/aws-lambda";

const architecture = lambda.Architecture.X86_64;
const stack = new Stack(new App(), "WebApp");

const adapter = new lambda.LayerVersion(stack, "Adapter", {
  // What `make layer` writes.
  code: lambda.Code.fromAsset(`../../../dist/lambda-adapter-layer-${architecture.name}.zip`),
  compatibleArchitectures: [architecture],
});

const app = new lambda.Function(stack, "App", {
  code: lambda.Code.fromAsset("../app"),
  handler: "run.sh",
  runtime: lambda.Runtime.NODEJS_22_X,
  architecture,
  layers: [adapter],
  memorySize: 512,
  timeout: Duration.seconds(30),
  environment: {
    AWS_LAMBDA_EXEC_WRAPPER: "/opt/bootstrap",
    AWS_LWA_INVOKE_MODE: "response_stream",
  },
});

const url = app.addFunctionUrl({
  authType: lambda.FunctionUrlAuthType.AWS_IAM,
  invokeMode: lambda.InvokeMode.RESPONSE_STREAM,
});

// CloudFront signs what it sends to the function URL. A viewer that sends a body must add its SHA-256 as
// x-amz-content-sha256.
const distribution = new cloudfront.Distribution(stack, "Distribution", {
  defaultBehavior: {
    origin: FunctionUrlOrigin.withOriginAccessControl(url),
    viewerProtocolPolicy: cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
    allowedMethods: cloudfront.AllowedMethods.ALLOW_ALL,
    cachePolicy: cloudfront.CachePolicy.CACHING_DISABLED,
    originRequestPolicy: cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
  },
});

new CfnOutput(stack, "Url", { value: `https://${distribution.domainName}/` });
