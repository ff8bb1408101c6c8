using System.Text.Json;

var app = WebApplication.CreateBuilder(args).Build();

app.MapMethods("/", ["GET", "HEAD"], () => Results.Content("<h1>Hello from ASP.NET Core</h1>", "text/html"));
app.MapPost("/json", (JsonElement received) => new { received });
app.MapGet("/query", (HttpRequest request) => request.QueryString.HasValue ? request.QueryString.Value[1..] : "");
app.MapGet("/cookies", (HttpResponse response) =>
{
    response.Cookies.Append("one", "1");
    response.Cookies.Append("two", "2", new CookieOptions { Expires = new DateTimeOffset(2037, 10, 21, 7, 28, 0, TimeSpan.Zero) });
    return "two cookies";
});
app.MapGet("/download", () => Results.Bytes(Enumerable.Range(0, 65536).Select(i => (byte)i).ToArray()));
app.MapGet("/redirect", () => Results.Redirect("/"));

app.Run();
