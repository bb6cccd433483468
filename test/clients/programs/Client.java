import java.net.Authenticator;
import java.net.InetSocketAddress;
import java.net.PasswordAuthentication;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;

/** java.net.http: {@code Client METHOD URL [FILE]}; the file is streamed, so that it goes out in chunks. */
public class Client {
  public static void main(String[] args) throws Exception {
    URI proxy = URI.create(System.getenv("HTTPS_PROXY"));
    String[] login = proxy.getUserInfo().split(":", 2);
    HttpClient client = HttpClient.newBuilder()
        .proxy(ProxySelector.of(new InetSocketAddress(proxy.getHost(), proxy.getPort())))
        .authenticator(new Authenticator() {
          @Override
          protected PasswordAuthentication getPasswordAuthentication() {
            return getRequestorType() == RequestorType.PROXY ? new PasswordAuthentication(login[0], login[1].toCharArray()) : null;
          }
        })
        .build();
    var body = args.length < 3 ? BodyPublishers.noBody() : BodyPublishers.ofInputStream(() -> open(args[2]));
    var request = HttpRequest.newBuilder(URI.create(args[1])).method(args[0], body).build();
    var response = client.send(request, BodyHandlers.ofString());
    String text = response.body().replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
    System.out.println("{\"status\": " + response.statusCode() + ", \"body\": \"" + text + "\"}");
  }

  private static java.io.InputStream open(String file) {
    try {
      return Files.newInputStream(Path.of(file));
    } catch (java.io.IOException error) {
      throw new java.io.UncheckedIOException(error);
    }
  }
}
