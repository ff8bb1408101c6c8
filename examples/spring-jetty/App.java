import java.util.List;
import java.util.Map;

import javax.servlet.http.Cookie;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;

import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.springframework.context.annotation.Bean;
import org.springframework.http.MediaType;
import org.springframework.http.converter.ByteArrayHttpMessageConverter;
import org.springframework.http.converter.StringHttpMessageConverter;
import org.springframework.http.converter.json.MappingJackson2HttpMessageConverter;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerAdapter;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;
import org.springframework.web.servlet.view.RedirectView;

public class App {
    /** What @EnableWebMvc would do: Debian's CGLIB cannot take a @Configuration of today's Java. */
    public static class Web {
        @Bean
        public RequestMappingHandlerMapping mapping() {
            return new RequestMappingHandlerMapping();
        }

        @Bean
        public RequestMappingHandlerAdapter adapter() {
            RequestMappingHandlerAdapter adapter = new RequestMappingHandlerAdapter();
            adapter.setMessageConverters(List.of(
                    new StringHttpMessageConverter(), new ByteArrayHttpMessageConverter(), new MappingJackson2HttpMessageConverter()));
            return adapter;
        }
    }

    @RestController
    public static class Site {
        @GetMapping(value = "/", produces = MediaType.TEXT_HTML_VALUE)
        public String page() {
            return "<h1>Hello from Spring MVC</h1>";
        }

        @PostMapping("/json")
        public Map<String, Object> json(@RequestBody Map<String, Object> received) {
            return Map.of("received", received);
        }

        @GetMapping(value = "/query", produces = MediaType.TEXT_PLAIN_VALUE)
        public String query(HttpServletRequest request) {
            return request.getQueryString();
        }

        @GetMapping("/cookies")
        public String cookies(HttpServletResponse response) {
            response.addCookie(new Cookie("one", "1"));
            Cookie two = new Cookie("two", "2");
            two.setMaxAge(3600);
            response.addCookie(two);
            return "two cookies";
        }

        @GetMapping(value = "/download", produces = MediaType.APPLICATION_OCTET_STREAM_VALUE)
        public byte[] download() {
            byte[] bytes = new byte[65536];
            for (int i = 0; i < bytes.length; i++) {
                bytes[i] = (byte) i;
            }
            return bytes;
        }

        @GetMapping("/redirect")
        public RedirectView elsewhere() {
            return new RedirectView("/");
        }
    }

    public static void main(String[] args) throws Exception {
        AnnotationConfigWebApplicationContext beans = new AnnotationConfigWebApplicationContext();
        beans.register(Web.class, Site.class);

        ServletContextHandler context = new ServletContextHandler();
        context.addServlet(new ServletHolder(new DispatcherServlet(beans)), "/");

        String port = System.getenv().getOrDefault("PORT", "8080");
        Server server = new Server(Integer.parseInt(port));
        server.setHandler(context);
        server.start();
        server.join();
    }
}
