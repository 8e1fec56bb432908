import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * What an MSK broker does with a token, as far as it is public: the token is a presigned URL; its signature is
 * checked by computing it again, with code of its own. Options of the JAAS entry: keys, a file of lines
 * "access secret session-token"; log, a file to which a line is added per answer. The principal is the role, as at MSK:
 * keys change, it stays (a connection whose principal changed would be ended).
 */
public final class MskValidator implements AuthenticateCallbackHandler {
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
    private Path keys;
    private Path log;

    private record Token(String accessKey, String value, String principalName, Long startTimeMs, long lifetimeMs, Set<String> scope)
            implements OAuthBearerToken {
    }

    @Override
    public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {
        Map<String, ?> options = entries.get(0).getOptions();
        keys = Path.of((String) options.get("keys"));
        log = Path.of((String) options.get("log"));
    }

    @Override
    public void close() {
    }

    @Override
    public void handle(Callback[] callbacks) throws IOException, UnsupportedCallbackException {
        for (Callback callback : callbacks) {
            if (!(callback instanceof OAuthBearerValidatorCallback asked)) {
                throw new UnsupportedCallbackException(callback);
            }
            String answer;
            try {
                Token token = check(asked.tokenValue());
                asked.token(token);
                answer = "ok " + token.accessKey();
            } catch (IllegalArgumentException | GeneralSecurityException e) {
                asked.error("invalid_token", null, null);
                answer = "refused: " + e.getMessage();
            }
            Files.writeString(log, answer + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        }
    }

    private static void demand(boolean holds, String what) {
        if (!holds) {
            throw new IllegalArgumentException(what);
        }
    }

    private Token check(String value) throws IOException, GeneralSecurityException {
        String url = new String(Base64.getUrlDecoder().decode(value), StandardCharsets.UTF_8);
        demand(!value.contains("=") && url.startsWith("https://kafka."), "not a token");
        String host = url.substring("https://".length(), url.indexOf("/?"));
        TreeMap<String, String> raw = new TreeMap<>();
        for (String pair : url.substring(url.indexOf("/?") + 2).split("&")) {
            int at = pair.indexOf('=');
            demand(raw.put(pair.substring(0, at), pair.substring(at + 1)) == null, "a parameter twice");
        }
        String agent = raw.remove("User-Agent");
        String signature = raw.remove("X-Amz-Signature");
        demand(agent != null && agent.startsWith("sluice"), "no user agent");
        demand(decoded(raw, "Action").equals("kafka-cluster:Connect"), "another action");
        demand(decoded(raw, "X-Amz-Algorithm").equals("AWS4-HMAC-SHA256"), "another algorithm");
        String[] scope = decoded(raw, "X-Amz-Credential").split("/", 2);
        String[] secrets = secretsOf(scope[0]);
        demand(secrets[2].equals(raw.containsKey("X-Amz-Security-Token") ? decoded(raw, "X-Amz-Security-Token") : "-"),
                "another session token");
        String date = decoded(raw, "X-Amz-Date");
        demand(scope[1].equals(date.substring(0, 8) + "/" + host.split("\\.")[1] + "/kafka-cluster/aws4_request"), "scope");
        demand(signature.equals(sign(raw, host, date, scope[1], secrets[1])), "signature");
        long from = Instant.from(TIME.parse(date)).toEpochMilli();
        long until = from + 1000L * Long.parseLong(decoded(raw, "X-Amz-Expires"));
        demand(System.currentTimeMillis() < until, "expired");
        return new Token(scope[0], value, "assumed-role/sluice/worker", from, until, Set.of());
    }

    private static String decoded(Map<String, String> raw, String name) {
        demand(raw.containsKey(name), "no " + name);
        return URLDecoder.decode(raw.get(name), StandardCharsets.UTF_8);
    }

    private String[] secretsOf(String access) throws IOException {
        for (String line : Files.readAllLines(keys)) {
            String[] words = line.split(" ");
            if (words[0].equals(access)) {
                return words;
            }
        }
        throw new IllegalArgumentException("unknown access key " + access);
    }

    private static byte[] hmac(byte[] key, String text) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String hash(String text) throws GeneralSecurityException {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    private static String sign(TreeMap<String, String> query, String host, String date, String scope, String secret)
            throws GeneralSecurityException {
        List<String> pairs = new ArrayList<>();
        query.forEach((name, value) -> pairs.add(name + "=" + value));
        String request = "GET\n/\n" + String.join("&", pairs) + "\nhost:" + host + "\n\nhost\n" + hash("");
        byte[] key = ("AWS4" + secret).getBytes(StandardCharsets.UTF_8);
        for (String part : scope.split("/")) {
            key = hmac(key, part);
        }
        return HexFormat.of().formatHex(hmac(key, "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hash(request)));
    }
}
