"""The baselines hold what every method must hold."""

from baselines.content_floors import Biharmonic, MeanColour, NearestPersonPixel, Telea, TeleaPerson
from baselines.mask_floors import ConvexHull, Identity
from baselines.pix2pix import Pix2PixContent, Pix2PixMask
from tests.conformance import ContentConformance, LearnedConformance, MethodConformance


class TestIdentity(MethodConformance):
    method = Identity


class TestConvexHull(MethodConformance):
    method = ConvexHull


class TestMeanColour(ContentConformance):
    method = MeanColour


class TestNearestPersonPixel(ContentConformance):
    method = NearestPersonPixel


class TestBiharmonic(ContentConformance):
    method = Biharmonic


class TestTelea(ContentConformance):
    method = Telea


class TestTeleaPerson(ContentConformance):
    method = TeleaPerson


class TestPix2PixMask(LearnedConformance):
    method = Pix2PixMask


class TestPix2PixContent(LearnedConformance, ContentConformance):
    method = Pix2PixContent
