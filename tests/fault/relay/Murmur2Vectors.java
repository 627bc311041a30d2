import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.utils.Utils;

/** Prints, for each key, the partition that Java's clients choose: PARTITIONS KEY... */
class Murmur2Vectors {
    public static void main(String[] args) {
        int partitions = Integer.parseInt(args[0]);
        for (int i = 1; i < args.length; i++) {
            byte[] key = args[i].getBytes(StandardCharsets.UTF_8);
            System.out.println(args[i] + "\t" + Utils.toPositive(Utils.murmur2(key)) % partitions);
        }
    }
}
