<%@ page contentType="text/plain" trimDirectiveWhitespaces="true" %><%
    // The app for Tomcat.
    String path = request.getRequestURI();
    if (path.equals("/plain")) {
        out.print("plain");
    } else if (path.equals("/echo")) {
        java.io.InputStream body = request.getInputStream();
        out.print(new String(body.readAllBytes(), "UTF-8"));
    } else if (path.equals("/large")) {
        out.print("x".repeat(3000000));
    } else if (path.equals("/stream")) {
        response.setContentType("text/event-stream");
        for (int part = 0; part < 5; part++) {
            out.print("data: " + part + "\n\n");
            out.flush();
            Thread.sleep(100);
        }
    } else if (path.equals("/refuse")) {
        response.setStatus(413);
        out.print("refused");
    } else {
        response.setStatus(404);
        out.print("missing");
    }
%>
