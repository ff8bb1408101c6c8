# Rails in one file; an application made by `rails new --minimal` runs the same way.
require "rails"
require "action_controller/railtie"

class App < Rails::Application
  config.load_defaults Rails::VERSION::STRING.to_f
  config.eager_load = true
  config.consider_all_requests_local = false
  config.secret_key_base = ENV.fetch("SECRET_KEY_BASE", "only-for-the-example")
  config.logger = Logger.new($stdout)

  routes.append do
    root "site#page"
    post "/json", to: "site#json"
    get "/query", to: "site#query"
    get "/cookies", to: "site#cookies_set"
    get "/download", to: "site#download"
    get "/redirect", to: "site#elsewhere"
  end
end

class SiteController < ActionController::Base
  protect_from_forgery except: :json
  skip_parameter_encoding :query # else Rails answers 400 to bytes that are not UTF-8

  def page = render(html: "<h1>Hello from Rails</h1>".html_safe)

  def json = render(json: { received: JSON.parse(request.raw_post) })

  def query = render(plain: request.query_string)

  def cookies_set
    cookies[:one] = "1"
    cookies[:two] = { value: "2", expires: Time.utc(2037, 10, 21, 7, 28) }
    render plain: "two cookies"
  end

  def download = send_data((0..255).to_a.pack("C*") * 256)

  def elsewhere = redirect_to("/")
end

App.initialize!
run App
