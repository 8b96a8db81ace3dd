/** A worker: forwards TCP to a port, every byte 30 ms late each way, as a node 60 ms away. */
const delayMs = 30;

const worker = self as unknown as {
  onmessage: (message: { data: { port: number } }) => void;
  postMessage(data: unknown): void;
};

worker.onmessage = async ({ data: { port } }) => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  worker.postMessage({ port: listener.addr.port });
  for await (const client of listener) {
    const node = await Deno.connect({ hostname: "127.0.0.1", port });
    client.setNoDelay(true);
    node.setNoDelay(true);
    forward(client, node);
    forward(node, client);
  }
};

async function forward(from: Deno.TcpConn, to: Deno.TcpConn) {
  const writer = to.writable.getWriter();
  let sent: Promise<void> = Promise.resolve();
  try {
    for await (const part of from.readable) {
      const due = new Promise((resolve) => setTimeout(resolve, delayMs));
      sent = Promise.all([sent, due]).then(() => writer.write(part));
      sent.catch(() => {});
    }
    await sent;
    await writer.close();
  } catch {
    // One side is gone: the other has nobody left to talk to.
  }
}
