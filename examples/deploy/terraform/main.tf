# One web app, by the module beside this file.
provider "aws" {}

data "archive_file" "app" {
  type        = "zip"
  source_dir  = "${path.module}/../app"
  output_path = "${path.module}/.terraform/app.zip"
}

module "web_app" {
  source = "./web-app"

  name    = "web-app"
  package = data.archive_file.app.output_path
  # What `make layer` writes.
  layer   = "${path.module}/../../../dist/lambda-adapter-layer-x86_64.zip"
  handler = "run.sh"
  runtime = "nodejs22.x"
}

output "url" {
  value = module.web_app.url
}
