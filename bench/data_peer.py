"""A peer made with aiortc that sends or takes bytes over a data channel, through the relay.

Who calls opens the channel `bulk`. The first message is the number of bytes to come, as text, the last
one `done`, from the end that takes them. Prints one JSON object once that is said.
"""

import argparse
import asyncio
import json
import sys
import time

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from websockets.asyncio.client import connect

CHUNK = bytes(60_000)
HIGH_WATER, LOW_WATER = 4 << 20, 1 << 20


class Peer:
    def __init__(self, args):
        self.args = args
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.finished = asyncio.get_running_loop().create_future()
        self.pc.on("datachannel", self.use)
        self.tasks = set()

    async def run(self):
        async with connect(self.args.server, max_size=2**20) as socket:
            await socket.send(f"HELLO {self.args.id}")
            reading = asyncio.create_task(self.read(socket))
            await self.finished
            reading.cancel()
        await self.pc.close()

    async def read(self, socket):
        async for line in socket:
            if line == "HELLO":
                print(json.dumps({"event": "registered"}), flush=True)
                if self.args.call:
                    await socket.send(f"SESSION {self.args.call}")
            elif line == "SESSION_OK":
                self.use(self.pc.createDataChannel("bulk"))
                await self.pc.setLocalDescription(await self.pc.createOffer())
                await self.describe(socket)
            elif line.startswith("ERROR"):
                sys.exit(line)
            elif line.startswith("{"):
                await self.signal(socket, json.loads(line))

    async def signal(self, socket, said):
        if "sdp" in said:
            await self.pc.setRemoteDescription(RTCSessionDescription(**said["sdp"]))
            if said["sdp"]["type"] == "offer":
                await self.pc.setLocalDescription(await self.pc.createAnswer())
                await self.describe(socket)
        elif said.get("ice", {}).get("candidate") and self.pc.remoteDescription:
            ice = said["ice"]
            candidate = candidate_from_sdp(ice["candidate"].split(":", 1)[1])
            candidate.sdpMLineIndex = ice.get("sdpMLineIndex", 0)
            candidate.sdpMid = ice.get("sdpMid")
            await self.pc.addIceCandidate(candidate)

    async def describe(self, socket):
        local = self.pc.localDescription
        await socket.send(json.dumps({"sdp": {"type": local.type, "sdp": local.sdp}}))

    def use(self, channel):
        if self.args.send:
            channel.on("open", lambda: self.spawn(self.pump(channel)))
            if channel.readyState == "open":
                self.spawn(self.pump(channel))
        state = {"expected": None, "taken": 0}

        def on_message(message):
            if message == "done":
                self.finish()
            elif isinstance(message, str):
                state["expected"] = int(message)
            else:
                state["taken"] += len(message)
                if state["taken"] == state["expected"]:
                    channel.send("done")

        channel.on("message", on_message)

    def spawn(self, work):
        task = asyncio.create_task(work)
        self.tasks.add(task)

    async def pump(self, channel):
        low = asyncio.Event()
        channel.bufferedAmountLowThreshold = LOW_WATER
        channel.on("bufferedamountlow", low.set)
        self.began = time.monotonic()
        channel.send(str(self.args.send))
        left = self.args.send
        while left > 0:
            while channel.bufferedAmount > HIGH_WATER:
                low.clear()
                await low.wait()
            channel.send(CHUNK[:left])
            left -= len(CHUNK)
            await asyncio.sleep(0)

    def finish(self):
        seconds = time.monotonic() - self.began
        print(json.dumps({"event": "sent", "bytes": self.args.send, "seconds": seconds}), flush=True)
        self.finished.set_result(None)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--id", required=True)
    parser.add_argument("--call")
    parser.add_argument("--send", type=int, default=0)
    await Peer(parser.parse_args()).run()


asyncio.run(main())
