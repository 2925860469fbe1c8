"""A stand-in for AWS's price list and EC2's spot prices, on loopback.

It answers in the documented forms: GetProducts by AWS's JSON protocol, filtered and in pages, each
product a string of JSON; DescribeSpotPriceHistory by EC2's query protocol in XML.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

_PAGE = 2
_ON_DEMAND = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "operation": "RunInstances",
}


def product(service: str, attributes: dict, terms: dict) -> dict:
    return {
        "product": {"productFamily": "any", "attributes": attributes, "sku": "SKU"},
        "serviceCode": service,
        "terms": terms,
        "version": "20261120000000",
        "publicationDate": "2026-11-20T09:00:00Z",
    }


def term(*tiers: tuple[str, str, str], **attributes: str) -> dict:
    """Each tier is (beginRange, USD, unit)."""
    return {
        "priceDimensions": {
            f"SKU.TERM.{number}": {
                "unit": unit,
                "beginRange": begin,
                "endRange": "Inf",
                "appliesTo": [],
                "rateCode": f"SKU.TERM.{number}",
                "pricePerUnit": {"USD": usd},
            }
            for number, (begin, usd, unit) in enumerate(tiers)
        },
        "sku": "SKU",
        "effectiveDate": "2026-11-01T00:00:00Z",
        "offerTermCode": "TERM",
        "termAttributes": attributes,
    }


def by_use(service: str, usage: str, tiers: list[tuple[str, str, str]], **attributes: str) -> dict:
    attributes = {"regionCode": "us-east-1", "usagetype": usage, **attributes}
    return product(service, attributes, {"OnDemand": {"SKU.TERM": term(*tiers)}})


def machine(name: str, hour: str, reserved: str = "", **attributes: str) -> dict:
    """An EC2 machine with Linux on it; without ``reserved`` it cannot be."""
    attributes = {
        "instanceType": name,
        "regionCode": "us-east-1",
        "usagetype": f"BoxUsage:{name}",
        "vcpu": "2",
        "memory": "4 GiB",
        **_ON_DEMAND,
        **attributes,
    }
    terms = {"OnDemand": {"SKU.TERM": term(("0", hour, "Hrs"))}}
    if reserved:
        year = {"LeaseContractLength": "1yr", "OfferingClass": "standard"}
        upfront = [("0", "0", "Hrs"), ("0", "500", "Quantity")]
        terms["Reserved"] = {
            "SKU.A": term(*upfront, **year, PurchaseOption="All Upfront"),
            "SKU.N": term(("0", reserved, "Hrs"), **year, PurchaseOption="No Upfront"),
            "SKU.C": term(
                ("0", "0.9", "Hrs"),
                LeaseContractLength="1yr",
                OfferingClass="convertible",
                PurchaseOption="No Upfront",
            ),
            "SKU.3": term(
                ("0", "0.01", "Hrs"),
                LeaseContractLength="3yr",
                OfferingClass="standard",
                PurchaseOption="No Upfront",
            ),
        }
    return product("AmazonEC2", attributes, terms)


def catalogue() -> list[dict]:
    """The products that a refresh asks for, with neighbours that must not be taken for them."""
    requests, gb = "Requests", "GB-Mo"
    return [
        machine("c7i.large", "0.0900000000", reserved="0.0600000000"),
        machine("c7i.large", "0.2000000000", operatingSystem="Windows"),
        machine("c7i.large", "0.0000000000", capacitystatus="AllocatedCapacityReservation"),
        machine("c7i.large", "0.1111000000", regionCode="eu-west-1", usagetype="EU-BoxUsage:c7i"),
        machine("c9i.xlarge", "0.1785000000", vcpu="4", memory="8 GiB"),
        by_use(
            "AmazonS3", "Requests-Tier1", [("0", "0.0000060000", requests)], group="S3-API-Tier1"
        ),
        by_use("AmazonS3", "Requests-Tier2", [("0", "0.0000005", requests)], group="S3-API-Tier2"),
        by_use("AmazonS3", "Requests-SIA-Tier1", [("0", "1", requests)], group="S3-API-SIA-Tier1"),
        by_use(
            "AmazonS3",
            "TimedStorage-ByteHrs",
            [("51200", "0.022", gb), ("0", "0.0240000000", gb)],
            volumeType="Standard",
        ),
        by_use(
            "AmazonS3",
            "TimedStorage-ByteHrs",
            [("0", "0.021", gb)],
            volumeType="INTAAS3ObjectOverhead",
        ),
        by_use(
            "AWSQueueService",
            "Requests-RBP",
            [("0", "0", requests), ("1000000", "0.0000005000", requests)],
            queueType="Standard",
        ),
        by_use("AWSQueueService", "Requests-FIFO-RBP", [("0", "1", requests)], queueType="FIFO"),
        by_use("AmazonCloudWatch", "CW:Requests", [("0", "0.00002", requests)]),
        by_use(
            "AmazonCloudWatch",
            "CW:MetricMonitorUsage",
            [("0", "0.25", "Metrics"), ("10000", "0.1", "Metrics")],
        ),
        by_use("AmazonCloudWatch", "CW:GMD-Metrics", [("0", "1", "Metrics")]),
        by_use("AWSLambda", "Lambda-GB-Second", [("0", "0.00002", "Lambda-GB-Second")]),
        by_use("AWSLambda", "Lambda-GB-Second-ARM", [("0", "0.00001", "Lambda-GB-Second")]),
        by_use("AWSLambda", "Request", [("0", "0.0000003", requests)]),
        by_use("AWSLambda", "Request-ARM", [("0", "0.0000001", requests)]),
        by_use("AWSLambda", "Lambda-Edge-Request", [("0", "0.0000006", requests)]),
        by_use("AmazonECS", "USE1-Fargate-vCPU-Hours:perCPU", [("0", "0.05", "hours")]),
        by_use("AmazonECS", "USE1-Fargate-GB-Hours", [("0", "0.006", "hours")]),
        by_use("AmazonECS", "USE1-ECS-EC2-GB-Hours", [("0", "0", "hours")]),
        # Two that a reader cannot tell apart: neither is taken.
        by_use("AmazonECS", "USE1-Fargate-ARM-GB-Hours", [("0", "0.004", "hours")]),
        by_use("AmazonECS", "USE1-Fargate-ARM-GB-Hours", [("0", "0.005", "hours")]),
        # In another unit than it is booked in: not taken.
        by_use("AmazonECS", "USE1-Fargate-ARM-vCPU-Hours:perCPU", [("0", "0.04", "seconds")]),
        by_use(
            "AWSDataTransfer",
            "DataTransfer-Out-Bytes",
            [("0", "0.08", "GB"), ("10240", "0.07", "GB")],
            fromRegionCode="us-east-1",
            transferType="AWS Outbound",
        ),
    ]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        aws = self.server
        if self.headers.get("X-Amz-Target", "") == "AWSPriceListService.GetProducts":
            question = json.loads(body)
            aws.asked.append(question["ServiceCode"])
            if aws.refuse_prices:
                error = {"__type": "AccessDeniedException", "Message": "not for you"}
                self._answer(400, "application/x-amz-json-1.1", json.dumps(error))
            else:
                self._answer(200, "application/x-amz-json-1.1", json.dumps(aws.page(question)))
            return
        question = parse_qs(body.decode())
        aws.asked.append(question["Action"][0])
        if aws.refuse_spot:
            error = "<Code>UnauthorizedOperation</Code><Message>not for you</Message>"
            document = f"<Response><Errors><Error>{error}</Error></Errors></Response>"
            self._answer(403, "text/xml", document)
        else:
            self._answer(200, "text/xml", aws.history(question))

    def _answer(self, status: int, kind: str, text: str):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Aws(ThreadingHTTPServer):
    """What AWS charges; ``products`` and ``spot`` may be changed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.products = catalogue()
        self.spot = [
            ("c7i.large", "us-east-1a", "0.040000", "2026-11-25T01:00:00.000Z"),
            ("c7i.large", "us-east-1a", "0.990000", "2026-11-24T01:00:00.000Z"),
            ("c7i.large", "us-east-1b", "0.030000", "2026-11-25T02:00:00.000Z"),
            ("c7i.large", "us-east-1c", "0.035500", "2026-11-25T03:00:00.000Z"),
            ("c7i.large", "us-east-1-atl-2a", "0.012200", "2026-11-25T03:00:00.000Z"),
        ]
        """kind, zone, USD an hour, since when"""
        self.refuse_prices = False
        self.refuse_spot = False
        self.asked: list[str] = []
        """service of the price list, or action of EC2"""

    def page(self, question: dict) -> dict:
        """A page of the products that all filters match."""
        found = [
            one
            for one in self.products
            if one["serviceCode"] == question["ServiceCode"]
            and all(
                one["product"]["attributes"].get(which["Field"]) == which["Value"]
                for which in question["Filters"]
            )
        ]
        begin = int(question.get("NextToken", "0"))
        answer = {
            "FormatVersion": "aws_v1",
            "PriceList": [json.dumps(one) for one in found[begin : begin + _PAGE]],
        }
        if begin + _PAGE < len(found):
            answer["NextToken"] = str(begin + _PAGE)
        return answer

    def history(self, question: dict) -> str:
        """The spot prices of the kinds asked for."""
        kinds = {values[0] for name, values in question.items() if name.startswith("InstanceType.")}
        items = "".join(
            f"<item><instanceType>{kind}</instanceType>"
            "<productDescription>Linux/UNIX</productDescription>"
            f"<spotPrice>{usd}</spotPrice><timestamp>{since}</timestamp>"
            f"<availabilityZone>{zone}</availabilityZone></item>"
            for kind, zone, usd, since in self.spot
            if kind in kinds
        )
        return (
            '<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
            f"<spotPriceHistorySet>{items}</spotPriceHistorySet><nextToken/>"
            "</DescribeSpotPriceHistoryResponse>"
        )

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
