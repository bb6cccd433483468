import { spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Serves the repositories in `root` over smart HTTP: `git http-backend` as the CGI program (RFC 3875) that it is. Pushes are taken. */
export function answerGit(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://git');
  const { headers } = request;
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_PROTOCOL: headers['git-protocol'] as string | undefined,
      REMOTE_USER: 'tester',
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: headers['content-type'],
      // Absent for a chunked body: then the program reads to the end of its input.
      CONTENT_LENGTH: headers['content-length'],
      HTTP_CONTENT_ENCODING: headers['content-encoding'],
    },
  });
  // The program may answer before it has read everything.
  child.stdin.on('error', () => request.resume());
  request.pipe(child.stdin);
  child.stderr.pipe(process.stderr);
  response.on('close', () => child.kill());

  let head = Buffer.alloc(0);
  const takeHead = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    child.stdout.off('data', takeHead);
    child.stdout.pause();
    const fields = head.subarray(0, end).toString('latin1').split('\r\n');
    const status = fields.find((field) => field.startsWith('Status: '));
    response.writeHead(
      status === undefined ? 200 : Number(status.slice(8, 11)),
      fields.filter((field) => field !== status).flatMap((field) => field.split(': ')),
    );
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on('data', takeHead);
}
