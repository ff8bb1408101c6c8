import os

from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import PlainTextResponse

server = MCPServer("orders", version="1.0.0")


@server.tool()
def order_state(id: int) -> str:
    """The state of an order."""
    return f"order {id} is shipped"


@server.custom_route("/", methods=["GET"])
async def page(request):
    return PlainTextResponse("an MCP server at /mcp")


server.run(
    "streamable-http",
    host="127.0.0.1",
    port=int(os.environ.get("PORT", "8080")),
    stateless_http=True,
    # On localhost the SDK lets in no other Host than localhost, but requests bring the function URL's.
    transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
)
