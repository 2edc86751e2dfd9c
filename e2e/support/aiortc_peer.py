"""A peer made with aiortc, the WebRTC of Python: it speaks the protocol of the relay, sends a moving
picture and a tone, counts what it decodes, and echoes what comes over data channels.

It prints one JSON object a line: what has happened, and twice a second what was counted.
"""

import argparse
import asyncio
import fractions
import json
import math
import sys

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, VideoStreamTrack
from aiortc.sdp import candidate_from_sdp
from websockets.asyncio.client import connect

SAMPLE_RATE = 48_000
SAMPLES_PER_FRAME = SAMPLE_RATE // 50
# 600 Hz: a whole number of periods fits into a frame of 20 ms.
TONE = 600
WIDTH, HEIGHT = 320, 240
COUNT_EVERY = 0.5


def report(event, **rest):
    print(json.dumps({"event": event, **rest}), flush=True)


class Picture(VideoStreamTrack):
    """A bright column that moves over a dark ground."""

    def __init__(self):
        super().__init__()
        self.number = 0

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        luma, *chroma = frame.planes
        left = self.number * 4 % (WIDTH - 32)
        row = bytes([40] * left + [220] * 32 + [40] * (WIDTH - 32 - left))
        luma.update(row.ljust(luma.line_size, b"\0") * HEIGHT)
        for plane in chroma:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, time_base
        self.number += 1
        return frame


class Tone(MediaStreamTrack):
    """A sine, a frame every 20 ms."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.sent = 0
        self.began = None
        samples = [
            round(12_000 * math.sin(2 * math.pi * TONE * n / SAMPLE_RATE))
            for n in range(SAMPLES_PER_FRAME)
        ]
        self.samples = b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)

    async def recv(self):
        now = asyncio.get_running_loop().time()
        self.began = self.began or now
        due = self.began + self.sent / SAMPLE_RATE
        await asyncio.sleep(max(0, due - now))
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES_PER_FRAME)
        frame.planes[0].update(self.samples)
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = self.sent, fractions.Fraction(1, SAMPLE_RATE)
        self.sent += SAMPLES_PER_FRAME
        return frame


class Peer:
    def __init__(self, args):
        self.args = args
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.counted = {"video": 0, "audio": 0, "width": 0, "height": 0, "tone": 0, "codec": None}
        self.early = []
        self.tasks = set()
        self.pc.on("track", self.on_track)
        self.pc.on("datachannel", self.on_channel)
        self.pc.on("connectionstatechange", lambda: report("state", state=self.pc.connectionState))

    async def run(self):
        async with connect(self.args.server, max_size=2**20) as socket:
            await socket.send(f"HELLO {self.args.id}")
            async for line in socket:
                await self.hear(socket, line)
        report("closed")

    async def hear(self, socket, line):
        if line == "HELLO":
            report("registered", id=self.args.id)
            if self.args.call:
                await socket.send(f"SESSION {self.args.call}")
        elif line == "SESSION_OK":
            await self.offer(socket)
        elif line.startswith("ERROR"):
            sys.exit(line)
        elif line.startswith("{"):
            await self.signal(socket, json.loads(line))

    async def offer(self, socket):
        self.open_channel()
        if not self.args.no_media:
            self.pc.addTrack(Tone())
            self.pc.addTrack(Picture())
        self.prefer()
        await self.describe(socket, await self.pc.createOffer())

    async def signal(self, socket, signal):
        if "ice" in signal:
            if self.pc.remoteDescription is None:
                self.early.append(signal["ice"])
            else:
                await self.candidate(signal["ice"])
            return
        description = RTCSessionDescription(sdp=signal["sdp"]["sdp"], type=signal["sdp"]["type"])
        await self.pc.setRemoteDescription(description)
        if description.type == "offer":
            wanted = {transceiver.kind for transceiver in self.pc.getTransceivers()}
            for track in (Tone(), Picture()):
                if track.kind in wanted:
                    self.pc.addTrack(track)
            self.prefer()
            if "m=application" in description.sdp:
                self.open_channel()
            await self.describe(socket, await self.pc.createAnswer())
        for candidate in self.early:
            await self.candidate(candidate)
        self.early = []

    async def candidate(self, ice):
        text = ice["candidate"].removeprefix("candidate:")
        if not text:
            return
        candidate = candidate_from_sdp(text)
        candidate.sdpMid, candidate.sdpMLineIndex = ice.get("sdpMid"), ice["sdpMLineIndex"]
        await self.pc.addIceCandidate(candidate)

    def prefer(self):
        """Leaves one video codec to be negotiated."""
        if not self.args.codec:
            return
        codecs = [
            codec
            for codec in RTCRtpReceiver.getCapabilities("video").codecs
            if codec.mimeType.lower() == f"video/{self.args.codec}"
        ]
        for transceiver in self.pc.getTransceivers():
            if transceiver.kind == "video":
                transceiver.setCodecPreferences(codecs)

    async def describe(self, socket, description):
        # aiortc gathers all candidates before it has a description.
        await self.pc.setLocalDescription(description)
        ours = self.pc.localDescription
        await socket.send(json.dumps({"sdp": {"type": ours.type, "sdp": ours.sdp}}))

    def on_track(self, track):
        self.begin(self.consume(track))

    def open_channel(self):
        """Opens a channel on which what it sends is to come back."""
        if not self.args.data:
            return
        channel = self.pc.createDataChannel("chat")

        def opened():
            channel.send("hello from aiortc")
            channel.send(bytes(range(256)) * 64)

        channel.on("message", lambda data: self.on_message(channel, data))
        channel.on("open", opened)

    def on_channel(self, channel):
        """Sends back what comes on a channel of the other side."""
        report("channel", label=channel.label, ordered=channel.ordered)

        def message(data):
            self.on_message(channel, data)
            channel.send(data)

        channel.on("message", message)

    def on_message(self, channel, data):
        text = data if isinstance(data, str) else None
        whole = data == bytes(range(256)) * 64
        report("message", label=channel.label, text=text, size=len(data), whole=whole)

    async def consume(self, track):
        """Decodes, for as long as something comes."""
        try:
            while True:
                frame = await track.recv()
                self.counted[track.kind] += 1
                if track.kind == "video":
                    self.counted["width"], self.counted["height"] = frame.width, frame.height
                else:
                    self.counted["tone"] = frequency(frame)
        except MediaStreamError:
            report("track-ended", kind=track.kind)

    async def count(self):
        while True:
            await asyncio.sleep(COUNT_EVERY)
            if self.pc.connectionState == "connected":
                report("counted", **self.counted)

    def begin(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def frequency(frame):
    """Of a tone, by how often the left channel crosses zero upwards; good to 50 Hz."""
    step = 2 * len(frame.layout.channels)
    raw = bytes(frame.planes[0])[: step * frame.samples]
    left = [int.from_bytes(raw[n : n + 2], "little", signed=True) for n in range(0, len(raw), step)]
    crossings = sum(1 for before, after in zip(left, left[1:]) if before < 0 <= after)
    return crossings * frame.sample_rate / frame.samples


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--id", default="aio")
    parser.add_argument("--call")
    parser.add_argument("--codec", choices=["vp8", "h264"])
    parser.add_argument("--data", action="store_true")
    parser.add_argument("--no-media", action="store_true")
    peer = Peer(parser.parse_args())
    peer.begin(peer.count())
    try:
        await peer.run()
    finally:
        await peer.pc.close()


if __name__ == "__main__":
    asyncio.run(main())
