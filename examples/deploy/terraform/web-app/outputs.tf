output "url" {
  description = "Where the app is"
  value       = "https://${aws_cloudfront_distribution.app.domain_name}/"
}

output "function_name" {
  value = aws_lambda_function.app.function_name
}
