variable "name" {
  description = "Name of the function, its role and its layer"
  type        = string
}

variable "package" {
  description = "Path of the app's zip"
  type        = string
}

variable "layer" {
  description = "Path of lambda-adapter-layer-ARCHITECTURE.zip"
  type        = string
}

variable "handler" {
  description = "The app's start script in the zip"
  type        = string
}

variable "runtime" {
  description = "A managed runtime, such as nodejs22.x or python3.13"
  type        = string
}

variable "architecture" {
  description = "x86_64 or arm64, the same as the layer's"
  type        = string
  default     = "x86_64"
}

variable "memory" {
  description = "Memory in MB; processor time grows with it"
  type        = number
  default     = 512
}

variable "timeout" {
  description = "Seconds that one invocation may take"
  type        = number
  default     = 30
}

variable "environment" {
  description = "More environment variables, such as the adapter's settings"
  type        = map(string)
  default     = {}
}
