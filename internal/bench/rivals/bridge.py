"""A simple bridge, written in an afternoon: paho-mqtt, aiohttp, and a queue for each phone."""

import asyncio
import json
import sys

import aiohttp
import paho.mqtt.client as mqtt


async def work(queue, url, session, publish):
    """Carries out the commands for one phone, one after the other."""
    auth = aiohttp.DigestAuthMiddleware("admin", "bench")
    while True:
        phone, command = await queue.get()
        result = {"id": command["id"], "phone": phone, "command": "dial"}
        try:
            async with session.get(
                f"{url}/command.htm", params={"number": command["number"]}, middlewares=(auth,)
            ) as reply:
                await reply.read()
                result["http_status"] = reply.status
                result["code"] = "ok" if reply.status == 200 else "phone_error"
        except (aiohttp.ClientError, asyncio.TimeoutError) as err:
            result["code"], result["message"] = "unreachable", str(err)
        publish(f"python/{phone}/result", json.dumps(result))


async def main(broker, phones_file):
    loop = asyncio.get_running_loop()
    with open(phones_file) as f:
        phones = json.load(f)
    queues, tasks = {}, []
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="bench-python")

        def publish(topic, payload):
            client.publish(topic, payload, qos=1)

        def take(phone, payload):
            if phone not in queues:
                queues[phone] = asyncio.Queue(32)
                tasks.append(loop.create_task(work(queues[phone], phones[phone], session, publish)))
            queues[phone].put_nowait((phone, json.loads(payload)))

        def on_connect(client, userdata, flags, reason, properties):
            client.subscribe("python/+/dial", qos=1)

        def on_subscribe(client, userdata, mid, reasons, properties):
            client.publish("python/bridge/state", "online", qos=1, retain=True)

        def on_message(client, userdata, message):
            loop.call_soon_threadsafe(take, message.topic.split("/")[1], message.payload)

        client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
        client.will_set("python/bridge/state", "offline", qos=1, retain=True)
        host, port = broker.split(":")
        client.connect(host, int(port))
        client.loop_start()
        await asyncio.Event().wait()


asyncio.run(main(sys.argv[1], sys.argv[2]))
