import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.replica.ClientMetadata;
import org.apache.kafka.common.replica.PartitionView;
import org.apache.kafka.common.replica.ReplicaSelector;
import org.apache.kafka.common.replica.ReplicaView;

/** A replica selector that chooses the leader, and writes down who asked from which rack: lines "client rack" in the file rack.probe.log. */
public class RackProbe implements ReplicaSelector {
    private Path log;

    @Override
    public Optional<ReplicaView> select(TopicPartition partition, ClientMetadata client, PartitionView replicas) {
        try {
            Files.writeString(log, client.clientId() + " " + client.rackId() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Optional.of(replicas.leader());
    }

    @Override
    public void configure(Map<String, ?> configs) {
        log = Path.of((String) configs.get("rack.probe.log"));
    }
}
