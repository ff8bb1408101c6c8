/// <reference path="./.sst/platform/config.d.ts" />

// A web app on Lambda behind a function URL that streams.
export default $config({
  app() {
    return { name: "web-app", home: "aws" };
  },
  async run() {
    const app = new sst.aws.Function("App", {
      bundle: "../app", // as it is, without SST's bundler
      handler: "run.sh",
      runtime: "nodejs22.x",
      architecture: "x86_64",
      layers: [process.env.ADAPTER_LAYER!], // ARN for x86_64, as `make publish` prints it
      memory: "512 MB",
      timeout: "30 seconds",
      streaming: true,
      url: true,
      environment: {
        AWS_LAMBDA_EXEC_WRAPPER: "/opt/bootstrap",
        AWS_LWA_INVOKE_MODE: "response_stream",
      },
    });
    return { url: app.url };
  },
});
