require "json"
require "sinatra/base"

class App < Sinatra::Base
  get("/") { "<h1>Hello from Sinatra</h1>" }

  post "/json" do
    content_type :json
    { received: JSON.parse(request.body.read) }.to_json
  end

  get "/query" do
    content_type :text
    request.query_string
  end

  get "/cookies" do
    response.set_cookie("one", "1")
    response.set_cookie("two", value: "2", expires: Time.utc(2037, 10, 21, 7, 28))
    "two cookies"
  end

  get "/download" do
    content_type "application/octet-stream"
    (0..255).to_a.pack("C*") * 256
  end

  get("/redirect") { redirect "/" }
end
