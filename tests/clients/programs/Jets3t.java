import java.io.BufferedReader;
import java.io.File;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jets3t.service.Jets3tProperties;
import org.jets3t.service.ServiceException;
import org.jets3t.service.StorageObjectsChunk;
import org.jets3t.service.impl.rest.httpclient.RestS3Service;
import org.jets3t.service.model.S3Object;
import org.jets3t.service.model.StorageObject;
import org.jets3t.service.security.AWSCredentials;

/** Debian's jets3t: one line per call, one line per result. ../programs.py documents the lines. */
public class Jets3t {
    static final long PART = 5 * 1024 * 1024;
    static RestS3Service s3;

    static S3Object file(String key, String path) throws Exception {
        S3Object made = new S3Object(new File(path));
        made.setKey(key);
        return made;
    }

    static List<String> run(String op, List<String> a) throws Exception {
        List<String> result = new ArrayList<>();
        switch (op) {
            case "create_bucket": s3.createBucket(a.get(0)); break;
            case "delete_bucket": s3.deleteBucket(a.get(0)); break;
            case "put": {
                S3Object object = file(a.get(1), a.get(2));
                object.setContentType(a.get(3));
                for (int at = 4; at + 1 < a.size(); at += 2) object.addMetadata(a.get(at), a.get(at + 1));
                s3.putObject(a.get(0), object);
                break;
            }
            case "head": {
                StorageObject object = s3.getObjectDetails(a.get(0), a.get(1));
                result.addAll(Arrays.asList("" + object.getContentLength(), object.getContentType(), object.getETag()));
                // Headers and metadata are in one map, the latter without their prefix.
                for (Object name : object.getMetadataMap().keySet()) {
                    result.add(("" + name).toLowerCase());
                    result.add("" + object.getMetadata("" + name));
                }
                break;
            }
            case "get": {
                StorageObject object = a.size() > 3
                    ? s3.getObject(a.get(0), a.get(1), null, null, null, null, Long.valueOf(a.get(3)), Long.valueOf(a.get(4)))
                    : s3.getObject(a.get(0), a.get(1));
                try (InputStream body = object.getDataInputStream()) {
                    Files.copy(body, new File(a.get(2)).toPath(), StandardCopyOption.REPLACE_EXISTING);
                }
                break;
            }
            case "list": {
                String marker = null;
                do {
                    StorageObjectsChunk page = s3.listObjectsChunked(a.get(0), a.get(1), a.get(2).isEmpty() ? null : a.get(2),
                        Long.parseLong(a.get(3)), marker, false);
                    for (StorageObject row : page.getObjects()) result.addAll(Arrays.asList("key", row.getKey()));
                    for (String group : page.getCommonPrefixes()) result.addAll(Arrays.asList("group", group));
                    marker = page.getPriorLastKey();
                } while (marker != null);
                break;
            }
            case "upload": s3.putObjectMaybeAsMultipart(a.get(0), file(a.get(1), a.get(2)), PART); break;
            case "copy": s3.copyObject(a.get(0), a.get(1), a.get(2), new S3Object(a.get(3)), false); break;
            case "delete": s3.deleteObject(a.get(0), a.get(1)); break;
            default: throw new Exception("no call is named " + op);
        }
        return result;
    }

    static int status(Throwable error) {
        for (; error != null; error = error.getCause()) {
            if (error instanceof ServiceException && ((ServiceException) error).getResponseCode() > 0) {
                return ((ServiceException) error).getResponseCode();
            }
        }
        return 0;
    }

    public static void main(String[] words) throws Exception {
        PrintStream results = new PrintStream(System.out, true, "UTF-8");
        System.setOut(System.err);
        Jets3tProperties properties = new Jets3tProperties();
        properties.setProperty("s3service.s3-endpoint", "127.0.0.1");
        properties.setProperty("s3service.s3-endpoint-http-port", words[0]);
        properties.setProperty("s3service.https-only", "false");
        properties.setProperty("s3service.disable-dns-buckets", "true");
        properties.setProperty("httpclient.retry-max", "0");
        s3 = new RestS3Service(new AWSCredentials(words[1], words[2]), "blobfish-tests", null, properties);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null; ) {
            List<String> a = new ArrayList<>();
            for (String word : line.split("\t", -1)) a.add(URLDecoder.decode(word, "UTF-8"));
            List<String> response = new ArrayList<>();
            try {
                response.add("ok");
                response.addAll(run(a.get(0), a.subList(1, a.size())));
            } catch (Exception error) {
                response = Arrays.asList("error", "" + status(error), "" + error);
            }
            StringBuilder text = new StringBuilder();
            for (String word : response) text.append(text.length() > 0 ? "\t" : "").append(URLEncoder.encode("" + word, "UTF-8"));
            results.println(text);
        }
    }
}
