// One Elasticsearch node, started in this process without the server's own launcher:
//
//     java --module-path JARS --add-modules ALL-MODULE-PATH ElasticsearchNode.java HOME
//
// HOME/modules holds the modules to load, as in the distribution. HTTP is on a free port of the loopback interface,
// which the node writes into HOME/logs/http.ports. The node stops when standard input ends, so it never outlives
// whoever started it.

import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.plugins.PluginsUtils;

public class ElasticsearchNode {
    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]).toAbsolutePath();
        Settings settings = Settings.builder()
            .put("path.home", home)
            .put("cluster.name", "engines")
            .put("node.name", "engines")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", "0")
            .put("transport.port", "0")
            .put("node.portsfile", true)
            // How full the disk is that this happens to run on is no concern here.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        LogConfigurator.setNodeName("engines");
        LogConfigurator.configureESLogging();
        Environment environment = new Environment(settings, home.resolve("config"));
        var modules = PluginsUtils.getModuleBundles(environment.modulesDir(), descriptor -> true);
        try (Node node = new Node(environment, PluginsLoader.createPluginsLoader(modules, Set.of(), Map.of()))) {
            node.start();
            while (System.in.read() >= 0) {}
        }
    }
}
