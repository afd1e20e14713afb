import pytest
import torch

from headstart.heads.neural.optimizers import StackedAdamW, StackedSGD

RATES, DECAYS, N_STEPS = (1e-4, 1e-2, 0.3), (1e-2, 0.0, 0.5), 400
STEP_SIZE, GAMMA = 100, 0.5


def alone(make_optimizer, model, gradients, dtype):
    """Return the parameters of one model after torch's own steps, as float64."""
    parameter = torch.nn.Parameter(start()[model].to(dtype))
    optimizer, scheduler = make_optimizer([parameter], RATES[model], DECAYS[model])
    for gradient in gradients:
        parameter.grad = gradient[model].to(dtype)
        optimizer.step()
        scheduler.step()
    return parameter.detach().double()


def start():
    return torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))


def batch_gradients():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(3, 4, 5, generator=generator) for _ in range(N_STEPS)]


def adamw(parameters, rate, decay):
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


def sgd(parameters, rate, decay):
    optimizer = torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=0.9)
    return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, STEP_SIZE, GAMMA)


def stacked_sgd(parameters, rates, decays):
    return StackedSGD(parameters, rates, decays, momentum=0.9, step_size=STEP_SIZE, gamma=GAMMA)


@pytest.mark.parametrize(
    ("make_stacked", "make_alone"), [(StackedAdamW, adamw), (stacked_sgd, sgd)], ids=["adamw", "sgd"]
)
@pytest.mark.parametrize("stops", [False, True], ids=["all", "one-stops"])
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")
def test_every_model_of_a_stack_moves_as_with_torchs_own_optimizer(make_stacked, make_alone, stops):
    rates, decays = (torch.tensor(values).view(-1, 1, 1) for values in (RATES, DECAYS))
    parameters, models = [start()], [0, 1, 2]
    optimizer = make_stacked(parameters, rates, decays)
    gradients = batch_gradients()
    for epoch, gradient in enumerate(gradients, start=1):
        if stops and epoch == N_STEPS // 2:
            models = [0, 2]
            parameters = [parameters[0][models]]
            optimizer.keep(torch.tensor(models), parameters)
        optimizer.gradients[0].mul_(optimizer.momentum).add_(gradient[models])
        optimizer.step(epoch)
    for place, model in enumerate(models):
        exact = alone(make_alone, model, gradients, torch.float64)
        assert (exact - start()[model]).abs().max() > 1e-3
        # 400 steps of float32 leave torch's own up to 3e-5 away, for 1 - rate · decay keeps few digits of the product.
        rounding = (alone(make_alone, model, gradients, torch.float32) - exact).abs().max()
        assert (parameters[0][place] - exact).abs().max() < 1.2 * rounding + 1e-6
