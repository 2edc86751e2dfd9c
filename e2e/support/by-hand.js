// A call that a page makes by hand, by the plain protocol, with a connection of the test's own.

/** Lets what is evaluated in a page call by `callByHand`. @param {import('./browser.js').Page} page */
export function allowCallsByHand(page) {
  return page.page.evaluate(() => {
    /**
     * Calls a peer. What the connection is to have in its offer has to be there before.
     *
     * @param {RTCPeerConnection} pc
     * @param {string} url of the relay
     * @param {string} callee
     * @param {string} [id] of the caller
     * @returns {WebSocket} by which the call is made
     */
    globalThis.callByHand = (pc, url, callee, id = `hand-${Math.random()}`) => {
      const socket = new WebSocket(url);
      const send = (message) => socket.send(JSON.stringify(message));
      pc.onicecandidate = ({ candidate }) => candidate && send({ ice: candidate });
      socket.onopen = () => socket.send(`HELLO ${id}`);
      socket.onmessage = async ({ data }) => {
        if (data === 'HELLO') socket.send(`SESSION ${callee}`);
        if (data === 'SESSION_OK') {
          await pc.setLocalDescription();
          send({ sdp: pc.localDescription });
        }
        if (!data.startsWith('{')) return;
        // The answer comes before the candidates, and the connection takes one after the other.
        const { sdp, ice } = JSON.parse(data);
        if (sdp) await pc.setRemoteDescription(sdp);
        if (ice?.candidate) await pc.addIceCandidate(ice);
      };
      return socket;
    };
  });
}
