using System;
using System.Collections.Generic;
using System.IO;
using System.Web;
using System.Web.Script.Serialization;

public class Site : IHttpHandler
{
    public bool IsReusable { get { return true; } }

    public void ProcessRequest(HttpContext context)
    {
        HttpRequest request = context.Request;
        HttpResponse response = context.Response;
        switch (request.Path)
        {
            case "/":
                response.Write("<h1>Hello from ASP.NET on Mono</h1>");
                break;
            case "/json":
                var json = new JavaScriptSerializer();
                object received = json.DeserializeObject(new StreamReader(request.InputStream).ReadToEnd());
                response.ContentType = "application/json";
                response.Write(json.Serialize(new Dictionary<string, object> { { "received", received } }));
                break;
            case "/query":
                response.ContentType = "text/plain";
                response.Write(request.ServerVariables["QUERY_STRING"]);
                break;
            case "/cookies":
                response.Cookies.Add(new HttpCookie("one", "1"));
                response.Cookies.Add(new HttpCookie("two", "2") { Expires = new DateTime(2037, 10, 21) });
                response.Write("two cookies");
                break;
            case "/download":
                byte[] bytes = new byte[65536];
                for (int i = 0; i < bytes.Length; i++)
                {
                    bytes[i] = (byte)i;
                }
                response.ContentType = "application/octet-stream";
                response.BinaryWrite(bytes);
                break;
            case "/redirect":
                response.Redirect("/", false);
                break;
            default:
                response.StatusCode = 404;
                break;
        }
    }
}
