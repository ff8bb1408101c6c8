import java.security.SecureRandom;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Random;

import com.zaxxer.hikari.HikariDataSource;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.context.annotation.Bean;
import org.springframework.http.MediaType;
import org.springframework.http.converter.StringHttpMessageConverter;
import org.springframework.http.converter.json.MappingJackson2HttpMessageConverter;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerAdapter;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

/** A shop with a database, random order numbers and credentials: what a snapshot must not hold. */
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
            adapter.setMessageConverters(List.of(new StringHttpMessageConverter(), new MappingJackson2HttpMessageConverter()));
            return adapter;
        }

        /** H2 in memory stands for a database on the network; its data outlives its connections. */
        @Bean
        public HikariDataSource pool() {
            HikariDataSource pool = new HikariDataSource();
            pool.setJdbcUrl(System.getenv().getOrDefault("DATABASE", "jdbc:h2:mem:shop;DB_CLOSE_DELAY=-1"));
            pool.setMaximumPoolSize(4);
            // The pool keeps no connection that nothing uses, so that none comes back before the snapshot.
            pool.setMinimumIdle(0);
            return pool;
        }

        @Bean
        public JdbcTemplate database(HikariDataSource pool) {
            JdbcTemplate database = new JdbcTemplate(pool);
            database.execute("create table if not exists item (id int primary key, name varchar(40), cents int)");
            for (int id = 1; id <= 200; id++) {
                database.update("merge into item values (?, ?, ?)", id, "Teapot No. " + id, 995 + id);
            }
            return database;
        }

        /** A generator of java.util is no secret, but two copies of it give the same numbers. */
        @Bean
        public OrderNumbers numbers() {
            return new OrderNumbers();
        }

        @Bean
        public Credentials credentials() {
            return new Credentials();
        }
    }

    public static class OrderNumbers {
        private volatile Random random = new Random();

        long next() {
            return random.nextLong() >>> 1;
        }

        void reseed() {
            // SecureRandom reads the kernel's generator, which Lambda seeds anew after a restore.
            random = new Random(new SecureRandom().nextLong());
        }
    }

    /** An SDK's client belongs here: what it has loaded at start expires while the snapshot is kept. */
    public static class Credentials {
        volatile Instant loaded = Instant.now();

        void refresh() {
            loaded = Instant.now();
        }
    }

    @RestController
    public static class Site {
        @Autowired JdbcTemplate database;
        @Autowired OrderNumbers numbers;

        @GetMapping(value = "/", produces = MediaType.TEXT_HTML_VALUE)
        public String page() {
            StringBuilder page = new StringBuilder("<h1>Hello from a snapshot</h1><ul>");
            for (Map<String, Object> item : database.queryForList("select * from item order by name limit 20")) {
                page.append(String.format("<li>%s: %.2f</li>", item.get("NAME"), (int) item.get("CENTS") / 100.0));
            }
            return page.append("</ul>").toString();
        }

        @GetMapping("/items/{id}")
        public Map<String, Object> item(@PathVariable("id") int id) {
            return database.queryForMap("select * from item where id = ?", id);
        }

        @PostMapping("/orders")
        public Map<String, Object> order() {
            return Map.of("order", numbers.next());
        }

        @GetMapping(value = "/health", produces = MediaType.TEXT_PLAIN_VALUE)
        public String health() {
            return "ok";
        }
    }

    @RestController
    public static class Hooks {
        @Autowired HikariDataSource pool;
        @Autowired OrderNumbers numbers;
        @Autowired Credentials credentials;
        private volatile Instant snapshot;

        /** The database would close these connections while the snapshot is kept. */
        @PostMapping("/snapstart/before")
        public String before() throws InterruptedException {
            int open = pool.getHikariPoolMXBean().getTotalConnections();
            while (pool.getHikariPoolMXBean().getTotalConnections() > 0) {
                pool.getHikariPoolMXBean().softEvictConnections();
                Thread.sleep(1);
            }
            System.out.printf("before the snapshot: closed %d connections%n", open);
            snapshot = Instant.now();
            return "";
        }

        /** What must not be the same in every copy, or must not be as old as the snapshot. */
        @PostMapping("/snapstart/after")
        public String after() {
            numbers.reseed();
            credentials.refresh();
            boolean fresh = credentials.loaded.isAfter(snapshot);
            System.out.printf("after the restore: new seed, %s credentials, %d connections%n",
                    fresh ? "new" : "old", pool.getHikariPoolMXBean().getTotalConnections());
            return "";
        }
    }

    public static void main(String[] args) throws Exception {
        AnnotationConfigWebApplicationContext beans = new AnnotationConfigWebApplicationContext();
        beans.register(Web.class, Site.class, Hooks.class);

        ServletContextHandler context = new ServletContextHandler();
        ServletHolder spring = new ServletHolder(new DispatcherServlet(beans));
        // Beans are made during init, not in the first request.
        spring.setInitOrder(0);
        context.addServlet(spring, "/");

        String port = System.getenv().getOrDefault("PORT", "8080");
        Server server = new Server(Integer.parseInt(port));
        server.setHandler(context);
        server.start();
        server.join();
    }
}
