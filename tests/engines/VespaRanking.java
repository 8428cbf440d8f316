// Ranks documents as a Vespa rank profile says, with Vespa's own readers and its own tensor library:
//
//     java -cp 'JARS/*' VespaRanking.java SCHEMA DOCUMENTS QUERIES
//
// SCHEMA is a schema file, DOCUMENTS a feed of a document a line, QUERIES a body of /search/ a line. Printed is, for
// each query, a line with the ids and scores of its hits, the best first.

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.yahoo.document.Document;
import com.yahoo.document.DocumentPut;
import com.yahoo.document.DocumentTypeManager;
import com.yahoo.document.config.DocumentmanagerConfig;
import com.yahoo.document.datatypes.FieldValue;
import com.yahoo.document.datatypes.TensorFieldValue;
import com.yahoo.document.json.JsonReader;
import com.yahoo.schema.Application;
import com.yahoo.schema.ApplicationBuilder;
import com.yahoo.schema.RankProfile;
import com.yahoo.searchlib.rankingexpression.Reference;
import com.yahoo.searchlib.rankingexpression.evaluation.MapContext;
import com.yahoo.searchlib.rankingexpression.evaluation.TensorValue;
import com.yahoo.searchlib.rankingexpression.evaluation.Value;
import com.yahoo.tensor.Tensor;
import com.yahoo.vespa.configmodel.producers.DocumentManager;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public class VespaRanking {
    private record Hit(String id, double score) {}

    public static void main(String[] arguments) throws Exception {
        String schemaText = Files.readString(Path.of(arguments[0]));
        Application application = ApplicationBuilder.createFromString(schemaText).application();
        var manager = new DocumentTypeManager(new DocumentmanagerConfig(
            new DocumentManager().produce(application.documentModel(), new DocumentmanagerConfig.Builder())));

        Map<String, MapContext> documents = new LinkedHashMap<>();
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            Document document = read(line, manager);
            MapContext context = new MapContext();
            for (var field : document.getDataType().getFields()) {
                FieldValue value = document.getFieldValue(field);
                if (value instanceof TensorFieldValue tensor) {
                    context.put("attribute(" + field.getName() + ")", new TensorValue(tensor.getTensor().get()));
                }
            }
            documents.put(document.getId().getScheme().getNamespaceSpecific(), context);
        }

        ObjectMapper json = new ObjectMapper();
        String schema = application.schemas().keySet().iterator().next();
        for (String line : Files.readAllLines(Path.of(arguments[2]))) {
            JsonNode body = json.readTree(line);
            RankProfile profile = application.rankProfileRegistry().get(schema, body.get("ranking").textValue());
            // What the search handler keeps of an input is its JSON, as text.
            Map<String, Value> inputs = new LinkedHashMap<>();
            for (var input : profile.inputs().entrySet()) {
                Reference name = input.getKey();
                String text = body.get("input." + name).toString();
                inputs.put(name.toString(), new TensorValue(Tensor.from(input.getValue().type().tensorType(), text)));
            }
            List<Hit> hits = new ArrayList<>();
            for (var document : documents.entrySet()) {
                MapContext context = document.getValue();
                inputs.forEach(context::put);
                double score = profile.getFirstPhaseRanking().evaluate(context).asDouble();
                hits.add(new Hit(document.getKey(), score));
            }
            hits.sort(Comparator.comparingDouble(hit -> -hit.score));
            System.out.println(json.writeValueAsString(
                hits.subList(0, body.get("hits").intValue()).stream().map(hit -> List.of(hit.id, hit.score)).toList()));
        }
    }

    private static Document read(String line, DocumentTypeManager manager) throws Exception {
        // The reader takes an array of documents; a feed of lines is cut into them by the clients.
        byte[] array = ("[" + line + "]").getBytes(StandardCharsets.UTF_8);
        var operation = new JsonReader(manager, new ByteArrayInputStream(array), new JsonFactory()).next();
        return ((DocumentPut) operation).getDocument();
    }
}
