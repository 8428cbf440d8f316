// One OpenSearch node, started in this process as the server starts it, but for its check that root does not run it:
//
//     java -cp 'JARS/*' OpenSearchNode.java HOME PLUGIN...
//
// A PLUGIN is a plugin's class, on the class path. HTTP is on a free port of the loopback interface, which the node
// writes into HOME/logs/http.ports. The node stops when standard input ends, so it never outlives whoever started it.

import java.io.OutputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.opensearch.Version;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;

public class OpenSearchNode extends Node {
    private OpenSearchNode(Environment environment, Collection<PluginInfo> plugins) {
        super(environment, plugins, true);
    }

    private static PluginInfo plugin(String name) {
        return new PluginInfo(name, "on the class path", "", Version.CURRENT, "21", name, List.of(), false);
    }

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]).toAbsolutePath();
        Settings settings = Settings.builder()
            .put("path.home", home)
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", "0")
            .put("transport.port", "0")
            .put("http.type", "netty4")
            .put("transport.type", "netty4")
            .put("node.portsfile", true)
            // A disk that is nearly full is no reason to refuse a few megabytes.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), home.resolve("config"), () -> "node");
        List<PluginInfo> plugins = Arrays.stream(arguments).skip(1).map(OpenSearchNode::plugin).toList();
        try (Node node = new OpenSearchNode(environment, plugins)) {
            node.start();
            System.in.transferTo(OutputStream.nullOutputStream());
        }
        // Threads that a plugin leaves behind would keep the process.
        System.exit(0);
    }
}
