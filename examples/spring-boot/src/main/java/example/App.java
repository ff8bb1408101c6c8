package example;

import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.view.RedirectView;

@SpringBootApplication
@RestController
public class App {
    @GetMapping(value = "/", produces = MediaType.TEXT_HTML_VALUE)
    public String page() {
        return "<h1>Hello from Spring Boot</h1>";
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

    public static void main(String[] args) {
        SpringApplication.run(App.class, args);
    }
}
